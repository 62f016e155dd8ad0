package virtualauth

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// Blob is a metadata BLOB to be signed, as the FIDO Metadata Service would.
type Blob struct {
	Number     int
	NextUpdate time.Time
	// Signer is the DNS name in the signer's certificate.
	Signer string
	Models []Model
}

// Model is one of its entries.
type Model struct {
	AAGUID        [16]byte
	Description   string
	Roots         []*x509.Certificate
	KeyProtection []string
	Reports       []Report
}

// Report is a status, with its dates when they are not zero.
type Report struct {
	Status      string
	From, Until time.Time
}

// Blob signs b with a certificate under the CA (ES256).
func (ca *CA) Blob(b Blob) ([]byte, error) {
	der, private, err := ca.issue(&x509.Certificate{
		Subject:  pkix.Name{CommonName: "metadata signer"},
		DNSNames: []string{b.Signer},
	})
	if err != nil {
		return nil, err
	}
	header, err := json.Marshal(map[string]any{
		"alg": "ES256", "typ": "JWT",
		"x5c": []string{base64.StdEncoding.EncodeToString(der)},
	})
	if err != nil {
		return nil, err
	}
	payload, err := json.Marshal(map[string]any{
		"legalHeader": "test only", "no": b.Number,
		"nextUpdate": b.NextUpdate.Format(time.DateOnly), "entries": entries(b.Models),
	})
	if err != nil {
		return nil, err
	}
	signed := b64.EncodeToString(header) + "." + b64.EncodeToString(payload)
	digest := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, private, digest[:])
	if err != nil {
		return nil, err
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return []byte(signed + "." + b64.EncodeToString(signature)), nil
}

func entries(models []Model) []map[string]any {
	out := []map[string]any{}
	for _, m := range models {
		roots, reports := []string{}, []map[string]any{}
		for _, root := range m.Roots {
			roots = append(roots, base64.StdEncoding.EncodeToString(root.Raw))
		}
		for _, r := range m.Reports {
			report := map[string]any{"status": r.Status}
			if !r.From.IsZero() {
				report["effectiveDate"] = r.From.Format(time.DateOnly)
			}
			if !r.Until.IsZero() {
				report["sunsetDate"] = r.Until.Format(time.DateOnly)
			}
			reports = append(reports, report)
		}
		h := hex.EncodeToString(m.AAGUID[:])
		out = append(out, map[string]any{
			"aaguid": fmt.Sprintf("%s-%s-%s-%s-%s", h[:8], h[8:12], h[12:16], h[16:20], h[20:]),
			"metadataStatement": map[string]any{
				"description": m.Description, "attestationRootCertificates": roots,
				"keyProtection": append([]string{}, m.KeyProtection...), "attestationTypes": []string{"basic_full"},
			},
			"statusReports": reports,
		})
	}
	return out
}
