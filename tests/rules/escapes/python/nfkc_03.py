# caught: static
import ｏs
reached = ｏs
