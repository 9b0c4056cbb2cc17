"""The commands of the gateway and of real traffic; a gateway is installed without the pipeline."""

import argparse
import functools
from collections.abc import Callable

from pipeline.serving import running_presets, served_presets
from serving import commands
from serving.commands import LoadPresets
from serving.cutover import commands as traffic

# These commands ask a judge; only the gateway asks the service as an application does.
_JUDGED_PRESETS = functools.partial(served_presets, for_application=False)


def _command(
    run: Callable[[argparse.Namespace, LoadPresets], None],
    load: LoadPresets,
    steers: Callable[[argparse.Namespace], bool] = lambda arguments: False,
) -> Callable[..., None]:
    def command(*, say: object, **options: object) -> None:
        del say
        arguments = argparse.Namespace(**options)
        run(arguments, running_presets if steers(arguments) else load)

    return command


serve = _command(commands.serve, served_presets, commands.steers)
drill = _command(commands.drill, served_presets)
confidence = _command(traffic.confidence, _JUDGED_PRESETS)
verdict = _command(traffic.verdict, _JUDGED_PRESETS)
cutover = _command(traffic.cutover, _JUDGED_PRESETS, traffic.goes_back)
watch = _command(traffic.watch, _JUDGED_PRESETS)
