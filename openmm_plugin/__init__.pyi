from .forces import committee_deviation as committee_deviation
from .forces import evaluator_of as evaluator_of
from .forces import force as force
from .library import load_library as load_library
