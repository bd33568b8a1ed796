# modes: restricted standard
print("%s has %d items (%.1f%%) %05d %x %r" % ("cart", 3, 12.345, 42, 255, "q"))
