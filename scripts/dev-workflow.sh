#!/bin/sh
# The developer's day: `bbmd dev`, with the commands and flags of the script of this name that the services had.
set -eu

usage() {
	cat <<'END'
Usage: scripts/dev-workflow.sh COMMAND [FLAGS]

  start     start server and daemon, and bring the databases up      --profile NAME
  status    what is up, and the state of each database
  logs      the daemon's log                                         --service NAME, --follow
  migrate   run what is pending                                      --service NAME
  reset     drop databases and create them anew                      --service NAME or --all, --yes
  restart   stop, and start                                          --profile NAME
  stop      stop server and daemon; the data stays
  clean     stop, and remove the server with its data                --yes

  -s, --service NAME     one service; again and again
  -p, --profile NAME     minimal, full, … as bbmd.yaml has them
  -a, --all              all services
  -f, --follow           go on with what comes
  -y, --yes              do not ask
  -n, --namespace NAME   accepted, and of no meaning: there is no cluster
  -h, --help             this

BBMD names the program, bbmd by default.
END
}

die() {
	echo "dev-workflow.sh: $1" >&2
	exit 2
}

# Each is a list with one word on each line.
flags='' services='' count=0 profile=''
add() {
	flags="$flags$1
"
}
service() {
	services="$services$1
"
	count=$((count + 1))
}

case ${1:-} in
-h | --help | help) usage && exit 0 ;;
'' | -*) usage >&2 && die "say what to do" ;;
esac
command=$1
shift
while [ $# -gt 0 ]; do
	case $1 in
	-s | --service | -p | --profile | -n | --namespace) [ $# -ge 2 ] || die "$1 wants a name" ;;
	esac
	case $1 in
	-s | --service) service "$2" && shift ;;
	--service=*) service "${1#*=}" ;;
	-p | --profile) profile=$2 && shift ;;
	--profile=*) profile=${1#*=} ;;
	-a | --all) add --all ;;
	-f | --follow) add --follow ;;
	-y | --yes) add --yes ;;
	-n | --namespace) shift ;;
	--namespace=*) ;;
	-h | --help) usage && exit 0 ;;
	*) usage >&2 && die "$1 is not known here" ;;
	esac
	shift
done

program=${BBMD:-bbmd}
if [ -z "${BBMD:-}" ] && ! command -v bbmd >/dev/null; then
	program=$(dirname "$0")/../bin/bbmd # where make build has put it
fi
IFS='
'
set -f

# prefixed prints each service behind a flag.
prefixed() {
	for name in $services; do
		printf '%s\n' "$1$name"
	done
}
# shellcheck disable=SC2086 # one argument on each line
dev() {
	"$program" dev "$@" $flags
}
case $command in
start | up | dev | restart) ;;
*) [ -z "$profile" ] || die "--profile is for start and restart" ;;
esac

case $command in
start | up | dev)
	dev up ${profile:+"--profile=$profile"}
	;;
restart)
	"$program" dev down
	dev up ${profile:+"--profile=$profile"}
	;;
status) dev status ;;
logs)
	[ "$count" -lt 2 ] || die "logs are of one service, or of all"
	# shellcheck disable=SC2046 # one argument on each line
	dev logs $(prefixed --database=)
	;;
migrate)
	flags=$(printf '%s' "$flags" | grep -v '^--all$' || true) # without a name it is all of them
	# shellcheck disable=SC2046 # one argument on each line
	dev migrate $(prefixed '')
	;;
reset)
	# shellcheck disable=SC2046 # one argument on each line
	dev reset $(prefixed --database=)
	;;
stop | down) dev down ;;
clean) dev clean ;;
*) usage >&2 && die "there is no command $command" ;;
esac
