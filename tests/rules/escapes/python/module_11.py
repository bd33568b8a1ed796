# caught: static
import calendar
reached = calendar.sys
