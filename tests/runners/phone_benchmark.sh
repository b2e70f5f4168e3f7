#!/system/bin/sh
# Stands for benchmark_model where no runtime is needed: a model takes a microsecond a thousand of its bytes.
# /data/phone/behaviour says how some behave (a line each: file, then crash, hang, kill, cut, silent, refuse or lost);
# /data/phone/sleep makes every run last that long, in milliseconds, and /data/phone/takes lets it say so too;
# /data/phone/style is what it prints like.
# It starts no program but stat: thousands of these make a profile.
style=$(</data/phone/style) runs=50 warmup=1 sleep_ms= takes_ms= behaviour=
for argument; do
  value=${argument#*=}
  case "$argument" in
    --help)
      echo "usage: benchmark_model"
      echo "Flags:"
      for flag in graph num_runs min_secs max_secs warmup_runs warmup_min_secs num_threads use_xnnpack use_gpu; do
        echo "  --$flag=x  string  optional"
      done
      exit 1 ;;
    --graph=*) graph=$value ;;
    --num_runs=*) runs=$value ;;
    --warmup_runs=*) warmup=$value ;;
  esac
done
echo "$graph" >> /data/phone/ran
echo "$@" > /data/phone/arguments
[ -e /data/phone/sleep ] && sleep_ms=$(</data/phone/sleep)
[ -e /data/phone/takes ] && takes_ms=$(</data/phone/takes)
while read -r name how; do
  [ "$name" = "$graph" ] && behaviour=$how
done </data/phone/behaviour
size=$(stat -c %s "$graph")
us=$((size / 1000)).$((size % 1000 / 100))
[ -n "$takes_ms" ] && sleep_ms=$takes_ms us=$((takes_ms * 1000))
tail="std=0"
[ $style = median ] && tail="std=0 p5=$us median=$us p95=$us"
echo "INFO: STARTING!"
case "$behaviour" in
  crash) kill -SEGV $$ ;;
  hang) sleep 600 ;;
  kill) pkill -9 -x sh ;;
  refuse) echo "ERROR: Model provided has model identifier 'XXXX', should be 'TFL3'"; exit 1 ;;
esac
echo "INFO: Explicitly applied XNNPACK delegate, and the model graph will be completely executed by the delegate."
if [ $style = results ]; then
  echo "========== BENCHMARK RESULTS =========="
  echo "Warmup (avg): 99999 us ($warmup runs)"
  echo "Inference (avg): $us us ($runs runs)"
  echo "======================================="
  exit 0
fi
echo "INFO: Running benchmark for at least $warmup iterations and at least 0 seconds but terminate if exceeding 9 seconds."
echo "INFO: count=$warmup first=99999 curr=99999 min=99999 max=99999 avg=99999 $tail"
echo
all_ms=$(((warmup + runs) * ${sleep_ms:-0})) thousandths=$((1000 + (warmup + runs) * ${sleep_ms:-0} % 1000))
[ -n "$sleep_ms" ] && sleep $((all_ms / 1000)).${thousandths#1}
echo "INFO: Running benchmark for at least $runs iterations and at least 0 seconds but terminate if exceeding 9 seconds."
case "$behaviour" in
  cut) echo -n "INFO: count=$runs first=1 curr=1 min=1 max=1 avg=1"; exit 0 ;;
  silent) exit 0 ;;
esac
echo "INFO: count=$runs first=$us curr=$us min=$us max=$us avg=$us $tail"
echo
echo "Timings (microseconds): count=7 first=1 curr=1 min=1 max=1 avg=1 std=1"
echo "INFO: Inference timings in us: Init: 12, First inference: $us, Warmup (avg): 99999, Inference (avg): $us"
[ "$behaviour" = lost ] && exit 127
exit 0
