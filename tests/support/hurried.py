"""The command `footfall`, whose collector looks what is due twice a second in place of every 15 seconds."""

from footfall_collector.cli import main
from footfall_collector.process import alerts, digests, housekeeping

for each in (alerts, digests, housekeeping):
    each.LOOK_EVERY = 0.5
alerts.FIRST_LOOK = 0.5
main()
