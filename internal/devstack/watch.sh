# Runs a server and ends it when standard input does, that is, when the process at the other end of the pipe is gone.
# Arguments: the signal that ends the server at once, the folder that is then removed, the server's command line.
signal=$1 folder=$2
shift 2
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
{
	cat <&3 >/dev/null
	: >"$folder/abandoned"
	kill -s "$signal" $server
} &
watcher=$!
exec 3<&-
wait $server
status=$?
kill $watcher 2>/dev/null
if [ -e "$folder/abandoned" ]; then
	rm -rf "$folder" 2>/dev/null
fi
exit $status
