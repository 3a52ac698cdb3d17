#!/usr/bin/env bash
# Downloads the models of a voice pipeline into the cache of Hugging Face, where containers that mount it find them.
#
# Usage: script/download_models.sh [OPTION]...
#   --whisper-model NAME          speech to text: tiny (default; or the variable WHISPER_MODEL), base, small, medium, tiny.en, base.en,
#                                 small.en, medium.en, large-v2, large-v3, large-v3-turbo
#   --only stt|tts|embeddings     only this one of Whisper, Kokoro-82M and multilingual-e5-small
#   --cache-dir PATH              sets HF_HOME; otherwise HF_HOME itself, or ~/.cache/huggingface. The models go into its folder hub
#   --dry-run                     say what would be done, and download nothing
#   -h, --help                    show this
#
# Ends with 0 when all is there, with 1 for wrong arguments or without Python, and else with the number of models that failed.
# What comes is verified; what is there already, whole, is not downloaded again. hailo-whisper uses the same files without a copy:
# `hailo-whisper models import PATH --link`.
set -euo pipefail

folder=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
data=$folder/app/src/hailo_whisper/models/data

usage() { sed -n '2,/^set /{s/^# \{0,1\}//;/^set /!p}' "${BASH_SOURCE[0]}"; }

wrong() {
  printf 'download_models.sh: %s\n' "$*" >&2
  exit 1
}

# repository NAME: where the catalog says that the model is on the hub.
repository() {
  awk -v name="$1" '$1 == "-" && $2 == "name:" { here = $3 == name } here && $1 == "repository:" { print $2; exit }' "$data"/*.yaml
}

whisper=${WHISPER_MODEL:-tiny} only='' dry=''
while [ $# -gt 0 ]; do
  case $1 in
    --whisper-model | --only | --cache-dir)
      [ -n "${2-}" ] || wrong "$1 needs a value. --help shows which."
      case $1 in
        --whisper-model) whisper=$2 ;;
        --only) only=$2 ;;
        --cache-dir) HF_HOME=$2 ;;
      esac
      shift 2
      ;;
    --dry-run)
      dry=yes
      shift
      ;;
    -h | --help)
      usage
      exit 0
      ;;
    *) wrong "$1 is not an option. --help shows those that are." ;;
  esac
done
case $only in
  '' | stt | tts | embeddings) ;;
  *) wrong "--only takes stt, tts or embeddings, and not $only." ;;
esac
known=$(awk '$1 == "-" && $2 == "name:" { print $3 }' "$data"/whisper-ctranslate2.yaml)
grep -qxF -- "$whisper" <<<"$known" || wrong "there is no Whisper model $whisper. There are: $(paste -sd' ' <<<"$known")."

export HF_HOME=${HF_HOME:-$HOME/.cache/huggingface}
cache=$HF_HOME/hub
models=()
[ "${only:-stt}" = stt ] && models+=("$whisper")
[ "${only:-tts}" = tts ] && models+=(kokoro-82m-torch)
[ "${only:-embeddings}" = embeddings ] && models+=(multilingual-e5-small)

if [ -n "$dry" ]; then
  for model in "${models[@]}"; do
    name=$(repository "$model")
    place=$cache/models--${name//\//--}
    if [ -d "$place/snapshots" ]; then
      printf 'would look whether %s is whole in %s\n' "$name" "$place"
    else
      printf 'would download %s into %s\n' "$name" "$place"
    fi
  done
  exit 0
fi

# The program as it is installed, or else the one of this folder.
if command -v hailo-whisper >/dev/null; then
  program=(hailo-whisper)
else
  command -v python3 >/dev/null || wrong "there is no python3. Install it (\`apt install python3\`), or install hailo-whisper."
  # shellcheck source=script/bootstrap
  . "$folder/script/bootstrap"
  bootstrap_python
  program=(env PYTHONPATH="$folder/app/src" python3 -m hailo_whisper)
fi

failed=0
for model in "${models[@]}"; do
  "${program[@]}" models pull "$model" --hub-cache "$cache" || {
    status=$?
    # Ctrl-C means all of them.
    [ "$status" = 130 ] && exit 130
    failed=$((failed + 1))
  }
done
[ "$failed" = 0 ] && printf 'All is in %s\n' "$cache"
exit "$failed"
