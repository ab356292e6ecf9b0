import os
import threading

from lungmorph.files.quiet import quiet_itk


def test_itk_is_quiet_until_the_last_thread_has_left(capfd):
    inside, leave = threading.Event(), threading.Event()

    def other():
        with quiet_itk():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    thread.start()
    inside.wait(10)
    with quiet_itk():
        os.write(2, b"one")
    os.write(2, b"two")
    leave.set()
    thread.join()
    os.write(2, b"three")
    assert capfd.readouterr().err == "three"
