# caught: static
import re
r = re
reached = r.enum.sys
