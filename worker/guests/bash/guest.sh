# Serves a session at the other end of standard input: sources the code of each call, so that variables,
# functions and the working directory are still there for the next. What is ours begins with __belljar_.

builtin exec {__belljar_fd}<&0 </dev/null
__belljar_head=$(builtin type -P head)
__belljar_mkdir=$(builtin type -P mkdir)
__belljar_code=/tmp/.belljar-call
__belljar_stdin=/tmp/.belljar-stdin
__belljar_running= __belljar_interrupted=

# So many bytes of the socket, into a file. `head` reads no more than it is to print.
__belljar_take() {
  if (($1 > 0)); then
    builtin command "$__belljar_head" -c "$1" <&"$__belljar_fd" >"$2"
  else
    : >"$2"
  fi
}

__belljar_place() {
  builtin local size path
  IFS=' ' builtin read -r -u "$__belljar_fd" size path
  [[ $path != */* ]] || builtin command "$__belljar_mkdir" -p "/work/${path%/*}"
  __belljar_take "$size" "/work/$path"
}

# Ends a call from within: a command of it ends by the signal, and each after it is not begun but makes
# whatever it stands in return. With a trap alone the code would go on after the command.
__belljar_interrupt() {
  [[ $__belljar_running ]] || builtin return 0
  __belljar_interrupted=1
  builtin shopt -s extdebug
  builtin set -T
  builtin trap __belljar_skip DEBUG
}

# 2 is for whatever stands in a function or in the code of a call, and never for what stands here.
__belljar_skip() {
  ((${#FUNCNAME[@]} <= 2)) || builtin return 2
}

# Prints the number of a process of its own that waits for the one byte that interrupts, and then tells
# all of the group, as a terminal would. Neither $! nor `wait` knows of it.
__belljar_listen() {
  (
    IFS= LC_ALL=C builtin read -r -N 1 -u "$__belljar_fd" && builtin kill -INT 0
  ) </dev/null >/dev/null 2>&1 &
  builtin echo $!
}

__belljar_answer() {
  builtin printf 'answer %d %d\n%s' "$1" "${#2}" "$2" >&"$__belljar_fd"
}

builtin printf 'answer 0 0\n' >&"$__belljar_fd"
while IFS= builtin read -r -u "$__belljar_fd" __belljar_header; do
  # An interrupt that came after its call is nobody's.
  IFS=' ' builtin read -r _ __belljar_call __belljar_bytes __belljar_input __belljar_files \
    <<<"${__belljar_header##*\!}"
  __belljar_take "$__belljar_bytes" "$__belljar_code"
  __belljar_take "$__belljar_input" "$__belljar_stdin"
  for ((; __belljar_files > 0; __belljar_files--)); do __belljar_place; done
  __belljar_interrupted=
  builtin trap __belljar_interrupt INT
  __belljar_running=1
  __belljar_listener=$(__belljar_listen)
  builtin source "$__belljar_code" <"$__belljar_stdin"
  __belljar_status=$?
  __belljar_running=
  builtin kill -KILL "$__belljar_listener" 2>/dev/null
  if [[ $__belljar_interrupted ]]; then
    builtin trap - DEBUG
    builtin set +T
    builtin shopt -u extdebug
    __belljar_answer "$__belljar_call" '{"status":"interrupted"}'
  elif ((__belljar_status == 0)); then
    __belljar_answer "$__belljar_call" '{"status":"ok"}'
  else
    builtin printf -v __belljar_body '{"status":"error","error":{"type":"exit status","message":"%d"}}' \
      "$__belljar_status"
    __belljar_answer "$__belljar_call" "$__belljar_body"
  fi
done
builtin exit 0
