# caught: static running
import string, textwrap
reached, _ = string.Formatter().get_field("0[}].__glo" + "bals__", [{"}": textwrap.dedent}], {})
