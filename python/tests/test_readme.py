"""The Python of the README names what the package has."""

import ast
import inspect

import goodnet


def test_the_readme_calls_functions_with_arguments_that_they_take(root):
    text = (root / "README.md").read_text()
    blocks = [block.split("```")[0] for block in text.split("```python\n")[1:]]
    assert blocks
    calls = [node for block in blocks for node in ast.walk(ast.parse(block)) if isinstance(node, ast.Call)]
    ours = {"audit": goodnet.audit, "repair": goodnet.repair, "Bundle": goodnet.Bundle, "classify": goodnet.Bundle.classify}
    seen = set()
    for call in calls:
        if isinstance(call.func, ast.Attribute):
            function = ours[call.func.attr]
            seen.add(call.func.attr)
            places = [None] * (len(call.args) + (function is goodnet.Bundle.classify))
            inspect.signature(function).bind(*places, **{word.arg: None for word in call.keywords})
    assert {"audit", "repair", "classify"} <= seen
    fields = {"class_index", "label", "flagged"}
    assert fields <= set(goodnet.Classification.__slots__) and {"sentence", "suspects"} <= set(goodnet.Audit.__slots__)
