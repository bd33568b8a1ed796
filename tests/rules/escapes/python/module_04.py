# caught: static
import enum
reached = enum.sys
