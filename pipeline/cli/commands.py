"""The table of commands, for both runners."""

from typing import NamedTuple

from pipeline.cli import options
from pipeline.cli.options import AddOptions
from serving.commands import add_drill_options, add_serve_options
from serving.cutover.commands import add_cutover_options, add_watch_options

_LOCAL = "pipeline.cli.local"
_TAKEOVER = "pipeline.cli.takeover"
_VERTEX = "pipeline.vertex.commands"


class Command(NamedTuple):
    """One command of the command line.

    Attributes:
        name: What a user types.
        function: Import path of the function that runs it, such as `module:name`. It receives the
            options as keyword arguments, and `say`, which prints a line.
        summary: One line for the list of commands.
        description: What it does and what it leaves alone.
        example: Arguments of a typical call, without the program's name.
        options: Add the options of this command, in this order.
        has_log: Whether what libraries print goes to the log of a run.
        resumes: Whether the same command continues after Ctrl-C.
    """

    name: str
    function: str
    summary: str
    description: str
    example: str
    options: tuple[AddOptions, ...] = ()
    has_log: bool = False
    resumes: bool = False


_LOCAL_CONFIGURATION = options.configuration("offline")
_VERTEX_CONFIGURATION = options.configuration("vertex")

LOCAL_COMMANDS = (
    Command(
        "run",
        f"{_LOCAL}:run",
        "run rounds until the coverage rate is reached",
        "Run the pipeline on this machine, round after round, until the gate is passed or the "
        "loop stops. Run the same command again to resume an interrupted run: no reply is paid "
        "for twice.",
        "run --preset my_task.yaml --set rounds.max_rounds=3",
        (_LOCAL_CONFIGURATION,),
        has_log=True,
        resumes=True,
    ),
    Command(
        "init",
        f"{_LOCAL}:init",
        "scaffold a new task",
        "Create the coverage folder and the preset of a new task. Nothing is overwritten.",
        "init my_task --service gemini --pairs pairs.csv",
        (options.new_task,),
    ),
    Command(
        "check",
        f"{_LOCAL}:check",
        "check the coverage dataset and the credentials",
        "Report every invalid row, every placeholder and every missing key, and predict how wide "
        "the confidence interval will be. It only asks the Hub or Kaggle whether the "
        "model of training.preset is available. With --online, it also sends one small "
        "request of each kind that a run would send, for a fraction of a cent.",
        "check --preset my_task.yaml --online",
        (_LOCAL_CONFIGURATION, options.checks),
    ),
    Command(
        "estimate",
        f"{_LOCAL}:estimate",
        "estimate calls, tokens, cost and minutes",
        "Print the calls, tokens, cost and minutes of a run. It sends nothing.",
        "estimate --preset my_task.yaml",
        (_LOCAL_CONFIGURATION,),
    ),
    Command(
        "config",
        f"{_LOCAL}:config",
        "print the configuration of a run, or explain every setting",
        "Print the configuration that a run would use, as JSON. With --explain, print every "
        "setting with its documentation, bounds and default instead.",
        "config --explain",
        (_LOCAL_CONFIGURATION, options.explain),
    ),
    Command(
        "label",
        f"{_LOCAL}:label",
        "label answers, and decide about references and candidates, in a browser",
        "Open a page on this machine where people say which answers a user would accept, blind to "
        "who answered and to the verdict, and decide about suspect references and about candidates "
        "from real traffic (understudy verdict). Every decision is saved at once; run the same "
        "command again to resume.",
        "label --preset my_task.yaml --count 60",
        (_LOCAL_CONFIGURATION, options.labels),
    ),
    Command(
        "sample-labels",
        f"{_LOCAL}:sample_labels",
        "sample answers to label in a spreadsheet",
        "Write a random sample of judged answers to a CSV whose last column people fill in with "
        "yes or no, without showing the verdicts. Set evaluator.labels_uri to the file to measure "
        "the judge with it.",
        "sample-labels REPORT/verdicts.jsonl labels.csv --count 60",
        (options.label_sample,),
    ),
    Command(
        "rows",
        f"{_LOCAL}:rows",
        "show the training rows of a round, or what was dropped",
        "Show the training rows that a round kept, or with --dropped what its filters dropped: the "
        "reason, the prompt, and the text of the row that it is near to.",
        "rows --preset my_task.yaml --dropped --reason leak",
        (_LOCAL_CONFIGURATION, options.rows),
    ),
    Command(
        "compare",
        f"{_LOCAL}:compare",
        "compare two runs",
        "Compare the kept rounds of two runs by their output folders: settings that differ, rates, "
        "and a paired test on the prompts that both judged.",
        "compare output/before output/after",
        (options.two_runs,),
    ),
    Command(
        "sweep",
        "pipeline.cli.sweep:sweep",
        "compare base models on the rows of a run",
        "Train several base models on the training rows that a finished run has kept, and compare "
        "coverage, size and speed with the run's own model, in the run's report. Nothing is "
        "exported or pushed, and the test split stays sealed. The same command resumes.",
        "sweep --preset my_task.yaml --models gemma3_instruct_1b,llama3.2_instruct_1b",
        (_LOCAL_CONFIGURATION, options.base_models),
        has_log=True,
        resumes=True,
    ),
    Command(
        "space",
        "pipeline.cli.space:space",
        "serve the application with the best local model",
        "Serve the application that HFPusher pushes, with the best model of the run in output_dir.",
        "space --preset my_task.yaml --port 7861",
        (_LOCAL_CONFIGURATION, options.space),
    ),
    Command(
        "serve",
        f"{_TAKEOVER}:serve",
        "serve the takeover gateway",
        "Start the gateway and the tuned model of each preset on this machine. The gateway passes "
        "requests to the service LLM, and lets the tuned model answer when the service does not.",
        "serve --preset my_task.yaml --port 8100",
        (add_serve_options,),
    ),
    Command(
        "drill",
        f"{_TAKEOVER}:drill",
        "rehearse an outage",
        "Ask the coverage prompts through the gateway with real clients while every fault is "
        "injected in turn, and report what was lost. Exits with status 1 if anything was.",
        "drill --preset my_task.yaml --rate 2",
        (add_drill_options,),
    ),
    Command(
        "confidence",
        f"{_TAKEOVER}:confidence",
        "measure the tuned model's confidence and choose a threshold",
        "Ask the holdout prompts through the server that will answer, and choose the threshold of "
        "confidence above which answers are right at serving.confidence.right_percent. The run's "
        "report gets the curve.",
        "confidence --preset my_task.yaml --set serving.confidence.right_percent=90",
        (_LOCAL_CONFIGURATION,),
    ),
    Command(
        "verdict",
        f"{_TAKEOVER}:verdict",
        "judge whether it is safe to switch",
        "Judge the pairs of answers that the gateway captured in shadow mode: safe to switch, not "
        "yet, or worse. It may be run as often as you like. Exits with status 4 if the model is "
        "worse.",
        "verdict --preset my_task.yaml",
        (_LOCAL_CONFIGURATION,),
    ),
    Command(
        "cutover",
        f"{_TAKEOVER}:cutover",
        "move users from the service to the tuned model, step by step",
        "Walk the canary of a running gateway up: each step has to show that the model is safe to "
        "switch to, fails rarely and is fast. It goes back by itself, or with --back; Ctrl-C stops "
        "at the present step, and the same command resumes. Exits with status 4 if it went back.",
        "cutover --preset my_task.yaml --to 100 --steps 1,5,25,100",
        (_LOCAL_CONFIGURATION, add_cutover_options),
    ),
    Command(
        "watch",
        f"{_TAKEOVER}:watch",
        "watch the service and the tuned model for drift",
        "Ask the same holdout prompts of the service and the gateway's tuned model on a schedule "
        "and within serving.watch.budget_usd, draw both rates as a control chart, and raise an "
        "alarm when the service was swapped or one of them has drifted.",
        "watch --preset my_task.yaml --once",
        (_LOCAL_CONFIGURATION, add_watch_options),
    ),
)

VERTEX_COMMANDS = (
    Command(
        "compile",
        f"{_VERTEX}:write_job",
        "write the PipelineJob of a round as JSON",
        "Compile the pipeline of one round to the PipelineJob that Vertex AI Pipelines runs. "
        "It sends nothing.",
        "compile --preset my-team.yaml",
        (_VERTEX_CONFIGURATION, options.output),
    ),
    Command(
        "submit",
        f"{_VERTEX}:submit",
        "compile, upload and start a single round",
        "Compile the pipeline of one round, upload the job and start it.",
        "submit --preset my-team.yaml --parameter round=1",
        (_VERTEX_CONFIGURATION, options.parameters),
    ),
    Command(
        "run",
        f"{_VERTEX}:run",
        "run rounds until the coverage rate is reached",
        "Run rounds on Vertex AI until the gate is passed or the loop stops. Run the same command "
        "again, on any machine, to resume the loop.",
        "run --preset my-team.yaml",
        (_VERTEX_CONFIGURATION, options.loop, options.detach),
    ),
    Command(
        "status",
        f"{_VERTEX}:status",
        "show rounds, coverage and cost of a loop",
        "Show the rounds, the coverage rates and the cost of a loop, and the tasks in flight.",
        "status --preset my-team.yaml",
        (_VERTEX_CONFIGURATION, options.loop),
    ),
    Command(
        "schedule",
        f"{_VERTEX}:schedule",
        "schedule a round with cron",
        "Compile and upload a round, and let Vertex AI start it on a schedule.",
        "schedule --preset my-team.yaml --cron '0 3 * * 1'",
        (_VERTEX_CONFIGURATION, options.parameters, options.cron),
    ),
    Command(
        "unschedule",
        f"{_VERTEX}:unschedule",
        "delete the schedules of this pipeline",
        "Delete the schedules that the command schedule created for this pipeline.",
        "unschedule --preset my-team.yaml",
        (_VERTEX_CONFIGURATION,),
    ),
)
