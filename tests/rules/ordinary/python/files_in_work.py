# modes: standard
with open("notes.txt", "w") as file:
    file.write("one\ntwo\n")
with open("notes.txt") as file:
    print([line.rstrip() for line in file])
with open("notes.txt", "a") as file:
    print("three", file=file)
print(len(open("notes.txt").readlines()))
