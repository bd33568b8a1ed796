//// echo and variables modes: restricted standard
name=world; greeting="hello $name"; echo "$greeting" '${not}' "${#greeting}"
//// arithmetic modes: restricted standard
x=3; ((x++)); y=$((x * 2 + (1 << 3))); let z=y%5; echo $x $y $z $((16#ff))
//// loops modes: restricted standard
for i in 1 2 3; do printf '%d ' "$i"; done; for ((i = 0; i < 3; i++)); do printf '%s' "$i"; done; i=0; while [ "$i" -lt 3 ]; do i=$((i + 1)); done; until ((i == 0)); do ((i--)); done; echo "$i"
//// conditions modes: restricted standard
a=5; if [ "$a" -gt 3 ] && [[ $a == 5 ]]; then echo big; elif ((a > 1)); then echo mid; else echo small; fi
//// cases modes: restricted standard
word=apple; case "$word" in a*) echo fruit ;; b|c) echo other ;; *) echo none ;; esac
//// functions modes: restricted standard
add() { local a=$1 b=$2; echo $((a + b)); }; function twice { add "$1" "$1"; }; twice 4; r=$(add 1 2); echo "$r"
//// recursion modes: restricted standard
fact() { if (($1 <= 1)); then echo 1; else local n; n=$(fact $(($1 - 1))); echo $(($1 * n)); fi; }; fact 6
//// arrays modes: restricted standard
list=(one two "three four"); list+=(five); echo "${#list[@]}" "${list[2]}" "${list[@]:1:2}" "${!list[@]}"; unset 'list[0]'; echo "${list[*]}"
//// maps modes: restricted standard
declare -A ages=([ann]=30 [bob]=25); ages[eve]=41; for k in ann bob eve; do echo "$k ${ages[$k]}"; done
//// parameter expansion modes: restricted standard
p=/a/b/file.tar.gz; echo "${p##*/}" "${p%.gz}" "${p/a/x}" "${p:3:1}" "${unset_one:-default}" "${p^^}" "${p//[ab]/_}"
//// read lines of a string modes: restricted standard
while IFS=, read -r a b; do echo "$b-$a"; done <<< "1,2
3,4"
//// here-documents modes: restricted standard
n=3; while read -r line; do echo "> $line"; done << END
first $n
second ${n}1
END
//// quoting modes: restricted standard
echo 'eval curl $(id) `id`' "source /dev/tcp" # eval "$x"; exec sh
//// output to the error stream modes: restricted standard
echo oops >&2; echo quiet > /dev/null; echo both 2>&1
//// status modes: restricted standard
false || echo failed; true && echo worked; ! false; echo $?
//// options modes: restricted standard
set -euo pipefail; shopt -s nullglob; set -- a b c; echo "$#" "$1"; shift; echo "$*"
//// getopts modes: restricted standard
set -- -a -b value rest; while getopts 'ab:' opt; do case $opt in a) echo A ;; b) echo "B=$OPTARG" ;; esac; done; shift $((OPTIND - 1)); echo "$1"
//// mapfile modes: restricted standard
mapfile -t rows <<< $'x\ny\nz'; echo "${#rows[@]}" "${rows[1]}"
//// printf into a variable modes: restricted standard
printf -v padded '%05.1f|%-4s|%x' 3.14 ab 255; echo "$padded"
//// regular expressions modes: restricted standard
v=2024-05; if [[ $v =~ ^([0-9]{4})-([0-9]+)$ ]]; then echo "${BASH_REMATCH[1]} ${BASH_REMATCH[2]}"; fi
//// subshells and groups modes: restricted standard
(x=1; echo "$x"); { echo a; echo b; }; echo "${x:-none}"
//// brace expansion modes: restricted standard
echo {1..5} {a,b}{1,2}
//// fizzbuzz modes: restricted standard
for i in {1..15}; do if ((i % 15 == 0)); then echo FizzBuzz; elif ((i % 5 == 0)); then echo Buzz; elif ((i % 3 == 0)); then echo Fizz; else echo "$i"; fi; done
//// traps with functions modes: restricted standard
cleanup() { echo bye; }; trap cleanup EXIT; trap 'echo interrupted' INT; echo working
//// asking for a command modes: restricted standard
if command -v printf > /dev/null; then echo yes; fi; type echo > /dev/null; builtin echo ok; command echo ok
//// globals and locals modes: restricted standard
g=1; f() { local g=2; declare -i n=5+1; readonly c=7; echo "$g$n$c"; }; f; export g; echo "$g"
//// counting words modes: standard
printf 'b\na\nb\n' | sort | uniq -c | sort -rn | head -n 1 | awk '{ print $2, $1 }'
//// files of its own modes: standard
echo one > a.txt; echo two >> a.txt; cat a.txt | wc -l; rm a.txt; mkdir -p d/e; touch d/e/f; ls d/e; find d -type f -name 'f' | sed 's|d/||'
//// grep and cut modes: standard
printf 'id,name\n1,ann\n2,bob\n' > t.csv; grep -v '^id' t.csv | cut -d, -f2 | tr a-z A-Z | paste -sd, -
//// sed programs modes: standard
printf 'a\nb\nc\n' | sed -n -e '2p' -e 's/c/see/p' | tac; echo hello | sed 's/l/L/g; s/e/E/'
//// awk programs modes: standard
seq 5 | awk 'BEGIN { s = 0 } { s += $1 } END { printf "%d %.1f\n", s, s / NR }'; echo 'a:b' | awk -F: -v x=1 '{ if ($1 == "a" || x) print $2 }'
//// xargs modes: standard
seq 3 | xargs -n 1 echo item; printf 'x y' | xargs -I{} echo '<{}>'
//// find that calls modes: standard
echo hi > f1.txt; find . -maxdepth 1 -name '*.txt' -exec wc -c {} +
//// temporary files modes: standard
t=$(mktemp); trap 'rm -f "$t"' EXIT; echo data > "$t"; cat < "$t"; [ -s "$t" ] && echo filled
//// comparing modes: standard
diff <(echo a) <(echo a) && echo same; cmp -s /dev/null /dev/null && echo equal; comm -12 <(printf 'a\nb\n') <(printf 'b\nc\n')
//// dates and sums modes: standard
date -u -d @0 +%Y; echo x | md5sum | cut -c1-8; echo -n abc | base64; basename /a/b.c .c; dirname /a/b
//// background jobs modes: standard
sleep 0.01 & wait $!; echo "$?"; timeout 5 sleep 0 && echo done; nice echo kind
//// environment of one command modes: standard
A=1 env B=2 printenv A; IFS=: read -r x y <<< 'p:q'; echo "$y"; LC_ALL=C sort <<< $'b\na'
//// pipes and tee modes: standard
echo data | tee copy.txt | rev; cat copy.txt; { echo 1; echo 2; } > n.txt; while read -r n; do echo "$((n * 2))"; done < n.txt
//// a pack and back modes: standard
echo x > f; tar -cf p.tar f; rm f; tar -xf p.tar; cat f; gzip -k f; zcat f.gz
//// paths of programs modes: standard
/bin/echo direct; /usr/bin/env printf 'x\n'; cd /tmp && pwd && cd - > /dev/null
//// a longer script modes: standard
#!/usr/bin/env bash
set -euo pipefail
log() { printf '[%s] %s\n' "$1" "$2" >&2; }
usage() { cat << 'EOT'
usage: script [-n] eval "$x"
EOT
}
main() {
  local count=0 line
  usage > /dev/null
  while IFS= read -r line || [[ -n $line ]]; do
    [[ -z ${line// /} || $line == \#* ]] && continue
    count=$((count + 1))
  done < <(printf '# c\na\n\nb\n')
  log info "read $count"
  echo "$count"
}
main "$@"
//// sums in here-documents modes: standard
x=4; cat << EOF
total $((1+2)) $((x)) "$((x * 2))" $((x > 3 ? 1 : 2)) \$5
{"a": $((2)), "b": [$((1)),$((x-2))]}
EOF
cat > sum.json <<- EOF
	{"a": $((x<<1))}
	EOF
cat sum.json
//// commands in here-documents modes: standard
two() { echo "$1$1"; }; cat << EOF
`two a` \`whoami\` $(two b)
	$(two c)
  `echo d | tr d D`
EOF
cat << 'EOF'
`whoami` $(whoami)
EOF
//// bars and words in awk modes: standard
printf 'error|1\nwarn|2\nok|3\n' > log.txt; awk '/error|warn/ {c++} END{print c+0}' log.txt; awk -F "|" '{print $2}' log.txt; awk -F'|' -v OFS="|" '{ $1 = $1; print; printf "%-10s|%s\n", $1, $2 }' log.txt; awk '$1 ~ /^(ok|no)/ { print "the system is " $1 }' log.txt; awk '{ n = split($0, p, /[|]/); if (n == 2 || n == 3) print p[1] / 2, n / 2 }' log.txt
//// values in awk and sed modes: standard
a=7; b=2; n=2; awk "BEGIN { printf \"%.2f\n\", $a / $b }"; seq 4 > n.txt; awk "NR == $n" n.txt; p='{ print $1 * 2 }'; awk "$p" n.txt; sed -n "${n},3p" n.txt; sed "s/$n/two/;\$d" n.txt; sed -n "$((n + 1))p" n.txt
//// longer programs of sed modes: standard
printf 'one\ntwo\nthree\n' > w.txt; sed 's/e/E/w out.txt' w.txt; cat out.txt; sed 's/foo; e x/bar/' w.txt; sed ':a;N;$!ba;s/\n/,/g' w.txt; sed -n '/one/,/two/{s/[^/e]$/&!/;p}' w.txt; sed -e '1i\' -e 'echo hi' w.txt; sed '$!N;s/\n/ /' w.txt; sed -E 's#^(t)(.*)e$#\2/\1e#' w.txt
//// a trap that names what follows modes: restricted standard
trap cleanup EXIT; echo working; cleanup() { echo bye; }
