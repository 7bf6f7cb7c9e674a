"""The probe: runs ON a host as root, reads a JSON request from stdin, prints one JSON answer. Changes nothing.

Python 3.9, standard library only: its modules are sent over SSH each time and never installed. It trusts nothing that
the gateway's user can touch. Any surprise ends it with an error, for half a look would be taken for drift; only the
gateway itself may stay silent.
"""
