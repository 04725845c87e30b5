"""Bodies to control-flow graphs: what a path holds is read off these."""

from __future__ import annotations

from reviewer.parse import cfg, facts
from reviewer.parse.dialect import load_dialect
from reviewer.parse.extract import parser
from reviewer.parse.normalise import normalise


def body(text: str) -> facts.Body:
    source = text.encode()
    node = parser().parse(normalise(source, load_dialect())).root_node.named_children[0]
    assert node.type == "function_definition"
    return cfg.body(node, source)


def called(block: facts.Block) -> list[str]:
    return [e.callee.id for e in block.events if isinstance(e, facts.Call) and isinstance(e.callee, facts.Name)]


def all_called(found: facts.Body) -> list[str]:
    return [name for block in found.blocks for name in called(block)]


def test_a_condition_with_and_is_two_branches() -> None:
    found = body("int f(int a)\n{\n\tif (g(a) && h(a))\n\t\treturn 1;\n\treturn 0;\n}\n")
    branches = [b for b in found.blocks if isinstance(b.exit, facts.Branch)]
    assert [called(b) for b in branches] == [["g"], ["h"]]


def test_a_guard_is_released_on_every_way_out() -> None:
    found = body("int f(struct s *p)\n{\n\tguard(mutex)(&p->lock);\n\tif (p->x)\n\t\treturn 1;\n\tg();\n\treturn 0;\n}\n")
    returns = [b for b in found.blocks if isinstance(b.exit, facts.Return)]
    assert len(returns) == 2
    assert all(called(b)[-1] == "unguard:mutex" for b in returns)


def test_an_iterator_is_a_loop_with_its_name_and_arguments() -> None:
    found = body("void f(struct s *h)\n{\n\tlist_for_each_entry(p, &h->list, node) {\n\t\tg(p);\n\t}\n}\n")
    loops = [e for b in found.blocks for e in b.events if isinstance(e, facts.Call) and e.loop]
    assert [e.callee for e in loops] == [facts.Name("list_for_each_entry")]
    assert len(loops[0].args) == 3


def test_both_arms_of_an_if_group_are_kept_and_never_in_sequence() -> None:
    found = body("void f(void)\n{\n#ifdef CONFIG_X\n\ta();\n#else\n\tb();\n#endif\n}\n")
    assert sorted(all_called(found)) == ["a", "b"]
    assert not any("a" in called(b) and "b" in called(b) for b in found.blocks)


def test_goto_leaves_through_the_label() -> None:
    found = body("int f(void)\n{\n\tif (a())\n\t\tgoto out;\n\tb();\nout:\n\tc();\n\treturn 0;\n}\n")
    assert all_called(found).count("c") == 1


def test_a_scalar_type_in_parentheses_is_a_cast_and_no_call() -> None:
    found = body("int f(int a)\n{\n\treturn (u32)(a) | (gfp_t)(g(a)) | (h)(a);\n}\n")
    assert all_called(found) == ["g", "h"]
