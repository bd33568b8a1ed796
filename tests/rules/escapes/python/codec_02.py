# caught: static
# vim: set fileencoding=latin-1 :
reached = True
