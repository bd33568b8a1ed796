//// eval
eval "$(printf 'cat /etc/shadow')"
//// eval in another spelling
e\val 'cat /etc/shadow'; 'ev'"al" x
//// source
source /etc/profile
//// a dot
. /etc/shadow
//// exec
exec /bin/sh -c 'cat /etc/shadow'
//// a shell
sh -c 'cat /etc/shadow'; bash -i
//// a command that is put together
c=ca; "${c}t" /etc/shadow
//// a command of a command
$(echo cat) /etc/shadow; `echo id`
//// a command of braces
{cat,/etc/shadow}
//// a command of escapes
$'\x63at' /etc/shadow
//// a command by an array
cmd=(cat /etc/shadow); "${cmd[@]}"
//// a connection
exec 3<>/dev/tcp/169.254.169.254/80; echo GET >&3
//// a connection by redirection
cat < /dev/tcp/127.0.0.1/22
//// a connection by udp
echo x > /dev/udp/127.0.0.1/53
//// another language
python3 -c 'print(open("/etc/shadow").read())'
//// perl
perl -e 'print `id`'
//// curl
curl http://169.254.169.254/
//// netcat
nc -e /bin/sh 127.0.0.1 4444
//// env with a shell
env -i X=1 sh -c 'id'
//// env with a split string
env -S 'sh -c id'
//// xargs with a shell
echo 'cat /etc/shadow' | xargs -I{} sh -c {}
//// find with a shell
find / -maxdepth 1 -exec sh -c 'id' \;
//// find of two commands
find . -exec echo {} \; -exec sh -c id \;
//// command as a prefix
command eval id; builtin eval id
//// timeout as a prefix
timeout 5 bash -c id
//// nested prefixes
nohup nice -n 5 env A=1 timeout 3 python3 -c 1
//// awk that starts
awk 'BEGIN { system("id") }'
//// awk that pipes
awk 'BEGIN { "id" | getline x; print x }'
//// sed that starts
echo x | sed 's/x/id/e'
//// sed by its command
sed '1e id' /dev/null
//// tar that starts
tar -cf /dev/null /etc/passwd --checkpoint=1 --checkpoint-action=exec=id
//// sort that starts
sort --compress-program=sh /etc/passwd
//// split that starts
split --filter='sh -c id' /etc/passwd
//// an alias
shopt -s expand_aliases; alias ls='cat /etc/shadow'
ls
//// a trap of text
trap 'cat /etc/shadow; nc x' EXIT
//// a trap of what nobody knows
t=id; trap "$t" EXIT
//// PATH
PATH=/work:$PATH ls
//// PATH by export
export PATH=/work
//// PATH by a string
declare "PATH=/work"
//// PATH by read
read -r PATH <<< /work
//// BASH_ENV
BASH_ENV=/work/x bash script
//// LD_PRELOAD
LD_PRELOAD=/work/x.so ls
//// the prompt of traces
PS4='$(id)'; set -x; echo x
//// the prompt that is expanded
x='$(id)'; echo "${x@P}"
//// hash
hash -p /bin/sh ls; ls -c id
//// enable
enable -f /work/x.so x
//// a callback of mapfile
mapfile -C 'id #' -c 1 x <<< a
//// arithmetic that runs
let 'x=a[$(id)]'
//// a function that is not defined
if false; then nc() { :; }; fi; nc -e sh 127.0.0.1 1
//// a function that comes later
python3 -c 'print(1)'; python3() { :; }
//// a function that hides a refusal
curl() { :; }; unset -f curl; curl http://x/
//// a file of its own that runs
printf '#!/bin/sh\nid' > x.sh; chmod +x x.sh; ./x.sh
//// a file of the system
echo x > /etc/passwd
//// a file above
cat x > /work/../etc/passwd
//// mount
mount -t proc proc /mnt; unshare -r id; chroot / id; sudo id
//// gdb and strace
strace -p 1; gdb -p 1; dd if=/dev/mem of=x
//// backticks in a here-document
: << E
`whoami`
E
//// a here-document that is indented
: <<- E
	$(whoami)
	E
//// a here-document that seems to end
: << E
  E
: << 'Q'
E
whoami
Q
//// a function that opens the program
whoami() { command whoami; }; whoami
//// a function and env
whoami() { :; }; env whoami; timeout 1 whoami; echo | xargs whoami; /usr/bin/whoami
//// a function that is taken away
whoami() { :; }; unset whoami; whoami
//// sed in one word
echo x | sed -es/x/whoami/e; echo x | sed --expression=s/x/whoami/e
//// sed with addresses
echo x | sed '/x/e whoami'; seq 3 | sed '1~2e whoami'; seq 3 | sed '1,+2e whoami'
//// sed with escapes
echo x | sed $'1e\twhoami'
//// sed with brackets
echo / | sed 's/[/]/whoami/e'
//// sed from a file
echo '1e whoami' > f; echo x | sed -f f
//// sed from a value
echo x | sed "$(echo 1e whoami)"
//// awk from a file
echo 'BEGIN { system("whoami") }' > p.awk; awk -f p.awk
//// awk from a value
p='BEGIN { system("whoami") }'; awk "$p"
//// the table of commands
BASH_CMDS[cut]=/usr/bin/whoami; cut
//// the table of aliases
shopt -s expand_aliases
BASH_ALIASES[cut]=whoami
cut
//// PATH by reference
declare -n r=PATH; r=/work
//// an option of tar that is shortened
echo x > f; tar -cf o.tar f --checkpoint=1 --checkpoint-act=exec=whoami; tar -xf o.tar --to-comm=whoami
//// an option of tar behind others
echo x > f; tar -cIwhoami -f o f
//// an option of split that is shortened
seq 3 | split --filt whoami
//// a callback of mapfile behind others
mapfile -tC whoami -c 1 a <<< x
//// xargs that reads the command
echo whoami | xargs timeout 5; echo whoami | xargs -n1 env
//// find with a value
e=-exec; find . -maxdepth 0 $e whoami \;
//// a number that runs
[[ 'a[$(whoami >&2)]' -eq 1 ]]
