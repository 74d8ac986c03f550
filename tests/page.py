"""An HTML page, read: its tags, whose nesting is checked, and its text by the tags around it."""

from html.parser import HTMLParser

VOID = {'meta', 'img', 'br'}


class Page(HTMLParser):
  """tags: [(tag, attributes)]; words: all texts; texts: {tag: the texts within such tags, one string each}."""

  def __init__(self, text):
    super().__init__()
    self.open, self.tags, self.words, self.texts = [], [], [], {}
    self.feed(text)
    self.close()
    assert not self.open

  def handle_starttag(self, tag, attrs):
    self.tags.append((tag, dict(attrs)))
    self.texts.setdefault(tag, []).append('')
    if tag not in VOID:
      self.open.append((tag, len(self.texts[tag]) - 1))

  def handle_endtag(self, tag):
    assert self.open.pop()[0] == tag

  def handle_data(self, data):
    if {'style', 'script'} & {tag for tag, _ in self.open}:
      return
    self.words.append(data)
    for tag, place in self.open:
      self.texts[tag][place] += data

  def of(self, tag):
    """The attributes of all such tags."""
    return [attributes for name, attributes in self.tags if name == tag]
