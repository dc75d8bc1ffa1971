from vwlite.driver import Driver
from vwlite.ope import OffPolicy

class DecisionDriver(Driver):
    @property
    def off_policy(self) -> OffPolicy: ...
