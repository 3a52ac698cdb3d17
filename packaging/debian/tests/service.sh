# shellcheck shell=sh
# What the tests in this folder need of the service. They run where systemd does, with root, and have 127.0.0.1 alone.
SOURCE=/etc/hailo/hailo-whisper.yaml

# use_small_model: what an administrator does first. The model is that of the package hailo-whisper-model-tiny-en, or comes from the folder
# that HAILO_WHISPER_MODELS names (/srv/models); where it is in neither, the test cannot be done, which is what 77 means.
use_small_model() {
  sed -i 's/^  name: "base"$/  name: "tiny.en"/' "$SOURCE"
  hailo-whisper config render
  hailo-whisper models path >/dev/null 2>&1 ||
    hailo-whisper models pull tiny.en --source "folder:${HAILO_WHISPER_MODELS:-/srv/models}" || exit 77
  systemctl restart hailo-whisper.service
}

# hears: the service says what is said in the recording that comes with it.
hears() {
  hailo-whisper transcribe --stdout --server http://127.0.0.1:11437 \
    /opt/hailo-whisper/venv/lib/python3.*/site-packages/hailo_whisper/data/clip.wav | tee heard
  grep --ignore-case --quiet 'unless to be rather cold.\?hearted' heard
}
