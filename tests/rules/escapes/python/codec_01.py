# caught: static
# coding: utf-8
import codecs
reached = codecs.decode("bf", "rot13")
