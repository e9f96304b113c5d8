from evio_ros.cli import progress


def test_a_count_is_told_in_lines_where_there_is_no_terminal(monkeypatch, capsys):
    monkeypatch.setattr(progress, "_LINE_EVERY_S", -1.0)
    with progress.counter_line("kernels") as tell:
        tell(3)
        tell(12)
    assert capsys.readouterr() == ("", "kernels: 3\nkernels: 12\n")


def test_lines_do_not_come_faster_than_one_can_read(capsys):
    with progress.counter_line("kernels") as tell:
        for done in range(100):
            tell(done)
    assert capsys.readouterr() == ("", "")
