# modes: standard
import keyword
print(keyword.iskeyword("lambda"), keyword.iskeyword("bell"))
