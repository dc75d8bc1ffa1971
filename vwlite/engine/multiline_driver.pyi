from vwlite.engine.driver import Driver
from vwlite.report.off_policy import PolicyTally

class MultilineDriver(Driver):
    @property
    def policy(self) -> PolicyTally: ...
