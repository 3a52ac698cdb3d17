"""dpkg killed in the middle, and stopped by a question that nobody answers: the service serves, and a command finishes the upgrade."""

from machine import RENDERED, SOURCE, TREE, Machine
from testinfra.host import Host

# The user's, of the version before.
GONE = "colour: {theme: dark}"


def besides_the_source(machine: Machine) -> list[str]:
    """The sums of what is the user's or the service's, but for the configuration, which the test itself edits."""
    return [line for line in machine.sums().splitlines() if SOURCE not in line.split()]


def test_dpkg_killed_while_it_unpacks_leaves_a_service_and_is_mended_by_the_same_command(host: Host, machine: Machine) -> None:
    machine.kill_dpkg("after", when=f"find {TREE} -name *.dpkg-new | grep --quiet ctranslate2")
    assert host.check_output(f"find {TREE} -name '*.dpkg-new'"), "it was killed in the middle"
    assert machine.state() == f"install reinstreq half-installed {machine.before}"
    # As after a power cut.
    host.check_output("systemctl restart hailo-whisper.service")
    machine.serves(machine.before)
    host.check_output("dpkg --configure -a")
    # Without a repository there is nothing that apt could mend it with by itself.
    status, said = machine.apt("--fix-broken install")
    assert (status, "needs to be reinstalled" in said) == (100, True), said


def test_a_configuration_that_both_sides_have_changed_stops_who_cannot_ask_and_the_service_goes_on(
    host: Host, machine: Machine
) -> None:
    kept, old = besides_the_source(machine), machine.main_pid()
    host.check_output(f"cp {SOURCE} /root/kept.yaml && echo '{GONE}' >>{SOURCE}")
    status, said = machine.install("after", options="")
    assert (status, "end of file on stdin at conffile prompt" in said) == (100, True), said
    assert machine.state() == f"install ok unpacked {machine.after}"
    machine.serves(machine.before)
    assert machine.main_pid() == old
    assert besides_the_source(machine) == kept
    assert host.file(SOURCE).content_string.splitlines()[-1] == GONE


def test_a_setting_that_is_gone_is_named_and_the_configuration_before_stays_in_force(host: Host, machine: Machine) -> None:
    rendered = host.file(RENDERED).sha256sum
    done = host.run("dpkg --force-confdef --configure -a </dev/null")
    assert done.rc == 0, done.stderr
    assert "unknown" in done.stderr.lower()
    assert "colour" in done.stderr
    assert (
        f"the configuration was not taken, as it says above. Mend {SOURCE}, then run `hailo-whisper config render`" in done.stderr
    )
    assert host.file(RENDERED).sha256sum == rendered
    assert host.file(f"{SOURCE}.dpkg-dist").exists
    machine.is_whole(machine.after)
    machine.serves(machine.after)
    host.check_output(f"mv /root/kept.yaml {SOURCE} && hailo-whisper config render")
    assert host.file(RENDERED).sha256sum == rendered


def test_dpkg_killed_while_it_configures_is_mended_by_dpkg(host: Host, machine: Machine) -> None:
    kept = machine.sums()
    machine.kill_dpkg("before", when="pgrep --full [h]ailo-whisper.postinst.configure")
    assert machine.state() == f"install ok half-configured {machine.before}"
    # The one that ran all the time.
    machine.serves(machine.after)
    host.check_output("dpkg --configure -a </dev/null")
    machine.is_whole(machine.before)
    machine.serves(machine.before)
    assert machine.sums() == kept
