package store

import (
	"crypto/hmac"
	"crypto/sha256"
	"io"
	"os"
)

const (
	pageRows = 4096
	pageSlot = pageRows + sha256.Size
	// large8 stands for a version in the map large, and gone8 for Gone. Few rows change
	// more than two hundred times.
	large8 = 254
	gone8  = 255
)

// pages hold the newest versions of rows with consecutive numbers, one byte for each row. A
// page is read from the file, where it has a MAC, when it is first needed.
type pages struct {
	file   *os.File // nil: nothing is stored
	name   string
	key    []byte
	there  map[int64]bool // the pages in the file
	loaded map[int64]*versionPage
	large  map[int64]int64
	broken bool // a page of the file has no valid MAC
}

type versionPage struct {
	version [pageRows]uint8
	changed uint64 // counts changes
	kept    uint64 // the value of changed for the page in the file
}

func (p *pages) get(number int64) int64 {
	if number < 0 {
		return 0
	}
	page := p.load(number / pageRows)
	if page == nil {
		return 0
	}
	switch v := page.version[number%pageRows]; v {
	case gone8:
		return Gone
	case large8:
		return p.large[number]
	default:
		return int64(v)
	}
}

// raise sets a version if it is higher than the present one, and reports whether it was.
func (p *pages) raise(number, version int64) bool {
	if number < 0 || version <= p.get(number) {
		return false
	}
	page := p.loaded[number/pageRows]
	if page == nil {
		page = p.keep(number/pageRows, &versionPage{})
	}
	v := &page.version[number%pageRows]
	delete(p.large, number)
	switch {
	case version == Gone:
		*v = gone8
	case version < large8:
		*v = uint8(version)
	default:
		if p.large == nil {
			p.large = make(map[int64]int64)
		}
		*v, p.large[number] = large8, version
	}
	page.changed++
	return true
}

// load returns a page, or nil.
func (p *pages) load(number int64) *versionPage {
	if page := p.loaded[number]; page != nil || !p.there[number] || p.file == nil {
		return page
	}
	page := p.read(number)
	if page == nil {
		p.broken = true
		delete(p.there, number)
		return nil
	}
	return p.keep(number, page)
}

func (p *pages) keep(number int64, page *versionPage) *versionPage {
	if p.loaded == nil {
		p.loaded = make(map[int64]*versionPage)
	}
	p.loaded[number] = page
	return page
}

// read returns a page of the file, or nil if its MAC is invalid.
func (p *pages) read(number int64) *versionPage {
	var slot [pageSlot]byte
	if n, err := p.file.ReadAt(slot[:], number*pageSlot); n < pageSlot || err != nil && err != io.EOF ||
		!hmac.Equal(p.mac(number, slot[:pageRows]), slot[pageRows:]) {
		return nil
	}
	return &versionPage{version: [pageRows]uint8(slot[:pageRows])}
}

// whole reports whether every page of the file has a valid MAC.
func (p *pages) whole() bool {
	for number := range p.there {
		if p.read(number) == nil {
			return false
		}
	}
	return true
}

func (p *pages) mac(number int64, content []byte) []byte {
	return sum(p.key, p.name, number, content)
}

// draft is a page to be written.
type draft struct {
	number  int64
	changed uint64
	slot    []byte
}

// drafts copies the pages that are not in the file yet.
func (p *pages) drafts() (out []draft) {
	if p.file == nil {
		return nil
	}
	for n, page := range p.loaded {
		if page.changed != page.kept {
			out = append(out, draft{n, page.changed, append(make([]byte, 0, pageSlot), page.version[:]...)})
		}
	}
	return out
}

// write writes drafts to disk, without the lock of the memory.
func (p *pages) write(drafts []draft) error {
	for _, d := range drafts {
		if _, err := p.file.WriteAt(append(d.slot, p.mac(d.number, d.slot)...), d.number*pageSlot); err != nil {
			return err
		}
	}
	if len(drafts) == 0 {
		return nil
	}
	return p.file.Sync()
}

// wrote notes that drafts are on disk.
func (p *pages) wrote(drafts []draft) {
	for _, d := range drafts {
		p.loaded[d.number].kept = d.changed
		p.there[d.number] = true
	}
}
