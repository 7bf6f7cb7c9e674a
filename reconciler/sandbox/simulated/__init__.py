"""Simulated machines: hosts without a kernel, hundreds in one process, told by the commands of reconciler.commands.

A simulated host changes only by those commands, by first boot and by power. It is the model that tests use in memory
and that `fleet sandbox up --simulated` puts behind real SSH. The contract suite tests/contract/test_host_contract.py
holds it to what a real machine does.
"""
