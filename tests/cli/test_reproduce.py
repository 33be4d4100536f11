"""`mgd reproduce`."""

from mgd.reproduction import STUDIES


def test_the_list_is_of_all_studies(mgd_cli):
    said = mgd_cli("reproduce", "--list")
    assert said.code == 0
    assert [line.split()[0] for line in said.out.splitlines()] == list(STUDIES)


def test_bad_input_is_one_line(mgd_cli):
    for arguments, start in (
        (("angel",), "mgd: unknown study 'angel': did you mean 'angle'?; choose waveforms, "),
        ((), "mgd: which study? choose waveforms, "),
        (("angle", "--workers", "0"), "mgd: Invalid value for '--workers': 0 is not in the range x>=1."),
    ):
        said = mgd_cli("reproduce", *arguments)
        assert said.code == 2
        assert said.err.startswith(start)
        assert said.err.count("\n") == 1


def test_images_that_are_not_there_are_one_line(mgd_cli, tmp_path):
    said = mgd_cli("reproduce", "fashion-mnist", "--quick", "--data", tmp_path / "nowhere")
    assert said.code == 2
    *_, last = said.err.splitlines()
    assert last.startswith("mgd: ")
    assert "nowhere" in last
    assert "Traceback" not in said.err
