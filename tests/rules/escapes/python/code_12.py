# caught: static
for run in [eval]:
    reached = run("5")
