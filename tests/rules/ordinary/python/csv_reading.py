# modes: standard
import csv, io
rows = list(csv.DictReader(io.StringIO("name,qty\napple,3\n\"pear, big\",4\n")))
print(rows, sum(int(row["qty"]) for row in rows))
out = io.StringIO()
writer = csv.writer(out, lineterminator="\n")
writer.writerows([["a", 1], ["b,c", 2]])
print(out.getvalue())
