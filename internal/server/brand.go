package server

import (
	"fmt"
	"io"
	"log/slog"
	"os"

	"countersign/internal/config"
	"countersign/internal/failure"
	"countersign/internal/web/look"
)

// brandOf reads the files of a brand, and says in the log what was changed of its colour.
func brandOf(c config.Brand, log *slog.Logger) (look.Brand, error) {
	files := look.BrandFiles{Colour: c.Colour}
	for _, one := range []struct {
		key, path string
		into      *[]byte
	}{{"brand.logo", c.Logo, &files.Logo}, {"brand.logo_dark", c.LogoDark, &files.LogoDark}} {
		if one.path == "" {
			continue
		}
		body, err := pictureFile(one.path)
		if err != nil {
			return look.Brand{}, fmt.Errorf("%s: %w", one.key, err)
		}
		*one.into = body
	}
	b, notes, err := look.NewBrand(files)
	if err != nil {
		return b, fmt.Errorf("brand: %s", failure.Public(err))
	}
	for _, note := range notes {
		log.Warn(note)
	}
	return b, nil
}

// pictureFile reads a file that is no greater than a logo may be. A pipe or a device, which may
// never end, is none.
func pictureFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() == 0 {
		return nil, fmt.Errorf("%s is no file with a picture", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, look.MostLogo+1)) // one more is refused
}
