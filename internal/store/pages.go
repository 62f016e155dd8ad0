package store

import (
	"crypto/hmac"
	"encoding/binary"
	"os"
)

const (
	pageRows  = 1024
	pageBytes = pageRows * 4
	pageSlot  = pageBytes + 32
	// pagesKept is how many pages are in memory where they can be read again.
	pagesKept = 512
)

// pages are the versions of rows whose numbers follow each other, 1024 to a page. Those
// that are not in memory are in a file, each with a MAC.
type pages struct {
	file   *os.File // nil: all are in memory
	name   string
	key    []byte
	loaded map[int64]*versionPage
	broken bool // a page in the file is not as it was written
}

type versionPage struct {
	version [pageRows]uint32
	dirty   bool
}

func (p *pages) get(number int64) int64 {
	if number < 0 {
		return 0
	}
	page := p.load(number/pageRows, false)
	if page == nil {
		return 0
	}
	if v := page.version[number%pageRows]; v != gone32 {
		return int64(v)
	}
	return Gone
}

// gone32 stands for Gone in a page, which has room for four thousand million versions.
const gone32 = 1<<32 - 1

// raise sets a version that is higher than the one that is there, and says whether it was.
func (p *pages) raise(number, version int64) bool {
	if number < 0 || version < 0 {
		return false
	}
	page := p.load(number/pageRows, true)
	v := uint32(min(version, gone32))
	if page.version[number%pageRows] >= v {
		return false
	}
	page.version[number%pageRows], page.dirty = v, true
	return true
}

func (p *pages) load(number int64, create bool) *versionPage {
	if page := p.loaded[number]; page != nil {
		return page
	}
	page := p.read(number)
	if page == nil {
		if !create {
			return nil
		}
		page = &versionPage{}
	}
	if p.loaded == nil {
		p.loaded = make(map[int64]*versionPage)
	}
	p.makeRoom()
	p.loaded[number] = page
	return page
}

// makeRoom drops some page that can be read again.
func (p *pages) makeRoom() {
	if p.file == nil || len(p.loaded) < pagesKept {
		return
	}
	for n, page := range p.loaded {
		if !page.dirty {
			delete(p.loaded, n)
			return
		}
	}
}

// read returns a page of the file, and nil where it has none.
func (p *pages) read(number int64) *versionPage {
	if p.file == nil {
		return nil
	}
	var slot [pageSlot]byte
	n, _ := p.file.ReadAt(slot[:], number*pageSlot)
	if n == 0 || slot == [pageSlot]byte{} {
		return nil // never written
	}
	if n < pageSlot || !hmac.Equal(p.mac(number, slot[:pageBytes]), slot[pageBytes:]) {
		p.broken = true
		return nil
	}
	page := &versionPage{}
	for i := range page.version {
		page.version[i] = binary.LittleEndian.Uint32(slot[4*i:])
	}
	return page
}

func (p *pages) mac(number int64, content []byte) []byte {
	return sum(p.key, p.name, number, content)
}

// flush writes what is not in the file yet.
func (p *pages) flush() error {
	if p.file == nil {
		return nil
	}
	wrote := false
	for n, page := range p.loaded {
		if !page.dirty {
			continue
		}
		slot := make([]byte, 0, pageSlot)
		for _, v := range page.version {
			slot = binary.LittleEndian.AppendUint32(slot, v)
		}
		if _, err := p.file.WriteAt(append(slot, p.mac(n, slot)...), n*pageSlot); err != nil {
			return err
		}
		page.dirty, wrote = false, true
	}
	if !wrote {
		return nil
	}
	return p.file.Sync()
}
