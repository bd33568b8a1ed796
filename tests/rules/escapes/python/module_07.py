# caught: static
from random import _os as reached
