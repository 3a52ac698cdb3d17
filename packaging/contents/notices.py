"""debian/copyright: a paragraph for each project that the package brings, in Debian's machine-readable form."""

import re
from collections.abc import Iterable, Sequence

from .libraries import Library
from .projects import Project

SITE = "opt/hailo-whisper/venv/lib/python*/site-packages"
# Licences whose text every Debian system has.
COMMON = {
    "Apache-2.0": "Apache-2.0",
    "GPL-2.0-or-later": "GPL-2",
    "GPL-3.0-or-later WITH GCC-exception-3.1": "GPL-3",
    "LGPL-2.0-or-later": "LGPL-2",
    "LGPL-2.1-or-later": "LGPL-2.1",
    "LGPL-3.0-or-later": "LGPL-3",
    "LGPL-3.0-or-later OR GPL-2.0-or-later": "LGPL-3",
}
# Licences of libraries whose wheels do not bring their text.
TEXTS = {
    "MIT": """\
Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files (the
"Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge, publish,
distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to
the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF
MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR
ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH
THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.""",
    "BSD-2-Clause": """\
Redistribution and use in source and binary forms, with or without modification, are permitted provided that the following conditions are
met:

1. Redistributions of source code must retain the above copyright notice, this list of conditions and the following disclaimer.
2. Redistributions in binary form must reproduce the above copyright notice, this list of conditions and the following disclaimer in the
documentation and/or other materials provided with the distribution.

{disclaimer}""",
    "BSD-3-Clause": """\
Redistribution and use in source and binary forms, with or without modification, are permitted provided that the following conditions are
met:

1. Redistributions of source code must retain the above copyright notice, this list of conditions and the following disclaimer.
2. Redistributions in binary form must reproduce the above copyright notice, this list of conditions and the following disclaimer in the
documentation and/or other materials provided with the distribution.
3. Neither the name of the copyright holder nor the names of its contributors may be used to endorse or promote products derived from
this software without specific prior written permission.

{disclaimer}""",
}
TEXTS["BSD-3-Clause-Clear"] = TEXTS["BSD-3-Clause"].replace(
    "{disclaimer}", "NO EXPRESS OR IMPLIED LICENSES TO ANY PARTY'S PATENT RIGHTS ARE GRANTED BY THIS LICENSE. {disclaimer}"
)
DISCLAIMER = """\
THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS" AND ANY EXPRESS OR IMPLIED WARRANTIES, INCLUDING, BUT NOT
LIMITED TO, THE IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS FOR A PARTICULAR PURPOSE ARE DISCLAIMED. IN NO EVENT SHALL THE COPYRIGHT
HOLDER OR CONTRIBUTORS BE LIABLE FOR ANY DIRECT, INDIRECT, INCIDENTAL, SPECIAL, EXEMPLARY, OR CONSEQUENTIAL DAMAGES (INCLUDING, BUT NOT
LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR SERVICES; LOSS OF USE, DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER CAUSED AND ON ANY
THEORY OF LIABILITY, WHETHER IN CONTRACT, STRICT LIABILITY, OR TORT (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT OF THE USE
OF THIS SOFTWARE, EVEN IF ADVISED OF THE POSSIBILITY OF SUCH DAMAGE."""


# Whole texts, in files that hold several.
WHOLE = {
    "Apache-2.0": r"(?s)[^\n]*Apache License\s+Version 2\.0, January 2004.*?(END OF TERMS AND CONDITIONS|\Z)",
    "GPL-3": r"(?s)[^\n]*GNU GENERAL PUBLIC LICENSE\s+Version 3, 29 June 2007.*?(END OF TERMS AND CONDITIONS|\Z)",
}


def text(projects: Sequence[Project], libraries: Sequence[Library]) -> str:
    """The paragraphs of the projects and of the libraries, to be put after the head of the file."""
    return "".join([*map(_of_project, projects), *map(_of_libraries, _grouped(libraries))])


def _of_project(project: Project) -> str:
    places = sorted({path.split("/")[0] for path in project.files})
    holders = sorted(
        {
            match.strip()
            for each in project.texts
            for match in re.findall(r"^\W*(?:Copyright|\(c\)|©).*$", each, re.MULTILINE | re.IGNORECASE)
            if re.search(r"\d{4}", match)
        }
    )
    if project.licence in COMMON or not project.texts:
        body = known(project.licence)
    else:
        body = "\n\n".join(_shortened(each).strip() for each in project.texts)
    return _paragraph(
        [f"{SITE}/{place}{'/*' if '.' not in place or place.endswith('.dist-info') else ''}" for place in places],
        holders or [project.authors],
        project.licence,
        f"{project.name} {project.version}, {project.home}",
        body,
    )


def _grouped(libraries: Iterable[Library]) -> list[list[Library]]:
    groups: dict[tuple[str, str], list[Library]] = {}
    for library in libraries:
        groups.setdefault((library.project, library.licence), []).append(library)
    return list(groups.values())


def _of_libraries(group: list[Library]) -> str:
    first = group[0]
    files = [f"{SITE}/{library.path}" for library in group]
    return _paragraph(files, [f"Copyright {first.holder}"], first.licence, f"{first.project}, {first.home}", known(first.licence))


def known(licence: str) -> str:
    """The text of a licence, or where a Debian system has it. Raises LookupError for one that is in neither table."""
    if licence in COMMON:
        return _common(COMMON[licence])
    return TEXTS[licence].format(disclaimer=DISCLAIMER)


def _common(name: str) -> str:
    return f"The text of the licence is in /usr/share/common-licenses/{name} on every Debian system."


def _shortened(text: str) -> str:
    for name, pattern in WHOLE.items():
        text = re.sub(pattern, _common(name), text)
    return text


def _paragraph(files: Sequence[str], holders: Sequence[str], licence: str, comment: str, body: str) -> str:
    # One word, as the form asks for; operators are left as they are.
    short = (
        licence.replace("GPL-3.0-or-later WITH GCC-exception-3.1", "GPL-3+ with GCC exception")
        .replace(" AND ", " and ")
        .replace(" OR ", " or ")
    )
    lines = [
        "",
        "Files: " + "\n ".join(files),
        "Copyright: " + "\n ".join(_plain(holder) for holder in holders),
        f"License: {short}",
    ]
    lines += [f" {line.rstrip()}" if line.strip() else " ." for line in body.expandtabs().splitlines()]
    return "\n".join([*lines, f"Comment: {comment}", ""])


def _plain(holder: str) -> str:
    return re.sub(r"^[\W]+|(?i:^copyright( \(c\))?|^\(c\)|^©)\s*", "", " ".join(holder.split())).strip() or holder.strip()
