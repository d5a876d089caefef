"""Random plans of random graphs, on worker processes, against one device."""

import os
import subprocess

import omserve

CASES = int(os.environ.get("OMSERVE_WORKER_CASES", "120"))


def test_random_plans_equal_one_device_in_every_bit(bin_folder, tmp_path):
    """Replicas, stages and meshes lie over the workers as they come: inside one, across two, uneven."""
    layout = [2, 1, 3, 2]
    with omserve.Server.cluster(workers=0) as server:
        for devices in layout:
            server.start_worker(devices)
        server.wait_for_workers(len(layout))
        done = subprocess.run([bin_folder / "random_plans", server.address, str(sum(layout)), str(CASES), tmp_path],
                              capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(f"{CASES} cases equal")
