from vwlite.driver import Driver
from vwlite.ope import PolicyTally

class MultilineDriver(Driver):
    @property
    def policy(self) -> PolicyTally: ...
