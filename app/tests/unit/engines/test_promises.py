import asyncio
from dataclasses import replace

from scripted_engine import ScriptedEngine

from hailo_whisper.engines.promises import Promises

ABLE = ScriptedEngine().capabilities
LESS = replace(ABLE, prompts=False)


async def test_those_who_go_by_something_else_are_waited_for() -> None:
    promises = Promises()
    assert not promises.others(LESS)
    with promises.hold(ABLE):
        with promises.hold(LESS), promises.hold(ABLE):
            assert promises.others(LESS)
            assert promises.others(ABLE)
        assert promises.others(LESS)
        assert not promises.others(ABLE)
        over = asyncio.create_task(promises.over())
        await asyncio.sleep(0)
        assert not over.done()
    await over
    assert not promises.others(LESS)
