"""The texts that `fleet init` writes. Only texts."""

from __future__ import annotations

HETZNER = """\
cloud:
  provider: hetzner
  token: env:HCLOUD_TOKEN # a reference, never the token itself: env:, file:, cmd: or hcloud:
"""

SANDBOX = """\
cloud:
  provider: sandbox # on this machine: start it with `fleet sandbox up`
"""

FLEET_FILE = """\
# The fleet: which children shall exist and how each shall be. `fleet validate` checks this file, `fleet plan` shows
# what would change, `fleet apply` does it.

fleet: {name} # servers are called {name}-<child>

{cloud}
# What all children have in common. A child overrides what it names; groups and includes are in the README.
defaults:
  region: nbg1
  server_type: cx23
  image: debian-12
  version: 2026.9.6 # the exact OpenClaw release, or latest: the newest when a child is made
  model:
    provider: anthropic
    name: claude-sonnet-4-6
    key: env:ANTHROPIC_API_KEY

# One server, one gateway and one Telegram bot each.
children:
  alice:
    bot: {{token: env:ALICE_BOT_TOKEN}} # from @BotFather
    users: {{policy: pairing}} # strangers get a code that you approve; or policy: allowlist, allowed: [your id]
"""

STATE_README = """\
# state/

The record of this working directory: `fleet` writes here what it has done (the journal) and what it saw last (a
record per child), and which packages each release of OpenClaw consists of (`releases/`, npm's lock files). It holds no
secret, and nothing in it is needed: delete it, and the next `fleet plan` and `fleet apply` read everything again from
the cloud and the hosts.

Git keeps this file and `.gitignore`, nothing else.
"""

STATE_GITIGNORE = """\
*
!.gitignore
!README.md
"""

DONE = """\
Wrote {files}.
The fleet key is in {key_file} (fingerprint {fingerprint}).

Keep a copy of that file in your password manager, and never put it under version control. Every key of the fleet is
derived from it: without it nobody can log in to the servers or recognize them. Another machine, or CI, gets its one
line in the variable FLEET_KEY.

"""

NEXT = """\
Next:
  1. Edit {file}: your children, their regions, their bots.
  2. {access}
  3. fleet validate && fleet plan && fleet apply
"""

HETZNER_ACCESS = "Set HCLOUD_TOKEN, ANTHROPIC_API_KEY and each child's bot token in the environment."
SANDBOX_ACCESS = "Start the sandbox: fleet sandbox up. It makes every secret up; you need to set none."

NEXT_OF_LEGACY = """\
Next:
  1. Look at {file}: is it what you want?
  2. Their secrets: HCLOUD_TOKEN, ANTHROPIC_API_KEY, where {file} names them.
  3. For each child, with its server's own host key from its console:
{commands}
  4. fleet validate && fleet plan && fleet apply
"""
RELEASE = "2026.9.6"
