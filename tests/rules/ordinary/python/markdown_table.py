# modes: standard
import csv, io
rows = csv.reader(io.StringIO("a,b\n1,2\n"))
header, *body = rows
print("| " + " | ".join(header) + " |", *["| " + " | ".join(r) + " |" for r in body], sep="\n")
