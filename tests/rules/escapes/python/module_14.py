# caught: static
from dataclasses import sys as reached
