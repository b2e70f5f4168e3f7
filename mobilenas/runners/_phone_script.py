"""Scripts for a phone's shell (mksh and toybox, Android 6 and later), and what they print between markers.

Every text that is not this module's own goes through `shlex.quote`.
"""

import re
import secrets
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

BINARY = "mn_benchmark"
"""What benchmark_model is called on the phone: a name of its own, 15 letters at most, so that it can be ended by it."""
DONE = ("done",)
"""Words of the marker that ends every script."""

WATCH_SECONDS = 300.0
"""A phone whose folder nobody has touched for so long tidies itself up: longer than any process or part of a push."""
USAGE_SECONDS = 20
"""What the binary has to print its usage."""
STATE_SECONDS = 15
"""A batch tells the phone's state before its first model, after its last, and between two after so many seconds."""

_LIBRARY = r"""
beat() { true > "$root/beat"; } 2>/dev/null
say() { beat; echo && echo "$mark $*" || lost; }
end() { pkill -9 -x BINARY; } >/dev/null 2>&1
stop() {
  old=$(cat "$root/$1")
  case "$old" in ''|*[!0-9]*) return ;; esac
  grep -q mobilenas "/proc/$old/cmdline" && { kill -9 -"$old" || kill -9 "$old"; }
} >/dev/null 2>&1
mine() { [ "$(cat "$root/session")" = "$mark" ]; } 2>/dev/null
enter() { cd "$root" && mine || exit; } 2>/dev/null
wipe() {
  end
  stop watchdog
  stay=$(cat "$root/stay_on")
  case "$stay" in
    '') ;;
    null) settings delete global stay_on_while_plugged_in ;;
    *) settings put global stay_on_while_plugged_in "$stay" ;;
  esac
  cd / && rm -rf "$root"
} >/dev/null 2>&1
clean() { if [ ! -s "$root/session" ] || mine; then wipe; fi; }
lost() { trap '' HUP INT TERM PIPE; clean; exit 71; }
watch() {
  trap '' HUP
  while mine; do
    rm -f "$root/beat"
    seen=$(ls -l "$root")
    sleep "$1"
    if mine && [ "$(ls -l "$root")" = "$seen" ]; then rm -f "$root/watchdog" && wipe; fi
  done
}
state() {
  told=$SECONDS
  say state "$1"
  dumpsys battery
  dumpsys thermalservice | grep -m1 'Thermal Status'
  dumpsys power | grep -m1 mWakefulness=
  echo "cpuset $(cat /proc/self/cpuset)"
  for i in $cores; do
    echo "frequency $i $(cat /sys/devices/system/cpu/cpu$i/cpufreq/scaling_cur_freq)"
    echo "governor $i $(cat /sys/devices/system/cpu/cpu$i/cpufreq/scaling_governor)"
  done
} 2>/dev/null
run() {
  case " $dead " in *" $1 "*) return ;; esac
  [ $((SECONDS - told)) -lt STATE_SECONDS ] || state during
  say begin "$1"
  start=$SECONDS
  timeout -s KILL "$limit" ./BINARY --graph="$2" "$@ARGUMENTS" 2>&1 </dev/null
  code=$?
  case $code in 0|127) ;; *) dead="$dead $1" ;; esac
  say end "$1" $code $((SECONDS - start))
}
"""

_PREPARE = r"""
stop pid
wipe
stay=$(settings get global stay_on_while_plugged_in 2>/dev/null)
case "$stay" in null) ;; *[!0-9]*) stay= ;; esac
say folder
if { rm -rf "$root" && mkdir -p "$root" && echo "$stay" > "$root/stay_on" && echo "$mark" > "$root/session"; } 2>&1 &&
  mine && [ "$(cat "$root/stay_on")" = "$stay" ]
then
  echo ok
  $(command -v setsid) sh -c WATCH </dev/null >/dev/null 2>&1 &
  echo $! > "$root/watchdog"
  [ -z "$stay" ] || settings put global stay_on_while_plugged_in 7 >/dev/null 2>&1
fi
input keyevent KEYCODE_WAKEUP >/dev/null 2>&1
for name in ro.product.model ro.soc.model ro.board.platform ro.product.cpu.abilist ro.build.version.release; do
  say property $name
  getprop $name
done
say tools
for name in timeout taskset pkill; do command -v $name >/dev/null || echo $name; done
say processors
i=0
while [ -e /sys/devices/system/cpu/cpu$i ]; do
  cpu=/sys/devices/system/cpu/cpu$i
  echo $i "$(cat $cpu/cpu_capacity 2>/dev/null || echo 0)" "$(cat $cpu/cpufreq/cpuinfo_max_freq 2>/dev/null || echo 0)"
  i=$((i + 1))
done
"""

_ALLOWED = r"""
say allowed
grep Cpus_allowed: /proc/self/status
"""


@dataclass(frozen=True, slots=True)
class Section:
    """What stood between two markers: the first one's words, and the text up to the second."""

    words: tuple[str, ...]
    body: str


@dataclass(frozen=True, kw_only=True)
class PhoneScripts:
    """The scripts of one session.

    Attributes:
        folder: Folder on the phone that is made, used and removed.
        mark: What every marker line begins with: nothing that a model prints can be taken for one.
    """

    folder: str
    mark: str

    @classmethod
    def of_session(cls, parent: str) -> "PhoneScripts":
        """Scripts that work in `parent/mobilenas`, with a marker of their own."""
        return cls(folder=parent.rstrip("/") + "/mobilenas", mark=f"@{secrets.token_hex(8)}")

    def prepare(self) -> str:
        """Ends what an earlier session left, makes the folder, keeps the phone awake, and says what phone it is.

        A watchdog is left behind: it cleans up when the folder stays as it is for `WATCH_SECONDS`. Every marker touches
        it, and so does a file that grows. It ends with the folder, or when that is another session's.
        """
        return self._script(_PREPARE.replace("WATCH", shlex.quote(self._text(f"watch {WATCH_SECONDS:g}"))))

    def usage(self) -> str:
        """Prints the binary's usage and its exit code."""
        return self._script(
            "enter", f"say usage\ntimeout -s KILL {USAGE_SECONDS} ./{BINARY} --help 2>&1 </dev/null\nsay code $?"
        )

    def try_out(self, model: str, arguments: Sequence[str], limit_seconds: float) -> str:
        """Prints what the binary prints for a model."""
        head = f"limit={limit_seconds:g} dead= told=$SECONDS"
        return self._script(head, "enter", f"run 0 {shlex.quote(model)}", arguments=arguments)

    def batch(
        self,
        models: Sequence[tuple[int, str]],
        arguments: Sequence[str],
        *,
        limit_seconds: float,
        mask: int,
        cores: Sequence[int],
    ) -> str:
        """Runs models one after the other, one process each, with the phone's state before, meanwhile and after.

        A model that fails is not run again. When nobody reads any more, the script ends, and removes what it can.

        Args:
            models: Number and file of each; a number may come again.
            arguments: Flags of the binary.
            limit_seconds: A process that takes longer is killed.
            mask: Processors to bind to; 0 for all.
            cores: Those whose frequency is printed.
        """
        return self._script(
            f"limit={limit_seconds:g} dead= cores={shlex.quote(' '.join(map(str, cores)))}",
            "enter",
            "echo $$ > pid",
            "trap lost HUP INT TERM PIPE",
            *([f"taskset -p {mask:x} $$ >/dev/null 2>&1"] if mask else []),
            _ALLOWED,
            "state before",
            *(f"run {number} {shlex.quote(file)}" for number, file in models),
            "state after",
            "rm -f pid",
            arguments=arguments,
        )

    def look(self, cores: Sequence[int], *, wake: bool) -> str:
        """Prints the phone's state; wakes it up first where asked."""
        knock = "input keyevent KEYCODE_WAKEUP; wm dismiss-keyguard" if wake else ":"
        return self._script(
            f"cores={shlex.quote(' '.join(map(str, cores)))}", f"{{ {knock}; }} >/dev/null 2>&1", "state now"
        )

    def remove(self, files: Sequence[str]) -> str:
        """Removes files of the folder."""
        return self._script("enter", "rm -f " + " ".join(map(shlex.quote, files)))

    def clean(self) -> str:
        """Ends what runs, gives the phone its setting back and removes the folder."""
        return self._script("clean")

    def read(self, output: str) -> tuple[list[Section], tuple[str, ...]]:
        """The finished sections of an output, and the words of the last marker: `DONE` if the script was not cut."""
        parts = re.split(rf"(?:^|\n){self.mark} ([^\n]*)\n", output)
        words, bodies = parts[1::2], parts[2::2]
        sections = [Section(tuple(w.split()), b) for w, b in zip(words, bodies, strict=True)]
        return sections[:-1], sections[-1].words if sections else ()

    def _script(self, *lines: str, arguments: Sequence[str] = ()) -> str:
        return self._text(*lines, "say done", "", arguments=arguments)

    def _text(self, *lines: str, arguments: Sequence[str] = ()) -> str:
        quoted = " ".join(map(shlex.quote, arguments))
        library = _LIBRARY.replace("BINARY", BINARY).replace("STATE_SECONDS", str(STATE_SECONDS))
        library = library.replace('"$@ARGUMENTS"', quoted)
        head = f"mark={shlex.quote(self.mark)} root={shlex.quote(self.folder)}"
        return "\n".join((head, library, *lines))
