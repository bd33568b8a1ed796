# coding: iso-8859-15, caught: static
reached = True
