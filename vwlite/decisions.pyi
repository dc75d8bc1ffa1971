from vwlite.driver import Driver
from vwlite.ope import OffPolicy

class DecisionDriver(Driver):
    @property
    def off_policy(self) -> OffPolicy: ...
    @property
    def held_out_policy(self) -> OffPolicy: ...
