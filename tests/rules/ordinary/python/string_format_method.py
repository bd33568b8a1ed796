# modes: restricted standard
print("{} and {}".format("one", "two"), "{1}{0}".format("a", "b"), "{name:>8}|{value:.2f}".format(name="pi", value=3.14159))
print("{0[key]} {1[0]} {2.real}".format({"key": "v"}, [9], 5), "{{}}".format())
