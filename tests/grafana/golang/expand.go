// Expands annotations of alert rules as Grafana does: Go's text/template, in which $labels, $values and $value
// are what a series has, and what is missing is not an error.
package main

import (
	"encoding/json"
	"log"
	"os"
	"strings"
	"text/template"
)

type value struct {
	Labels map[string]string `json:"labels"`
	Value  float64           `json:"value"`
}

type data struct {
	Labels map[string]string `json:"labels"`
	Values map[string]value  `json:"values"`
	Texts  []string          `json:"texts"`
}

const variables = "{{- $labels := .Labels -}}{{- $values := .Values -}}"

func main() {
	var given data
	check(json.NewDecoder(os.Stdin).Decode(&given))
	expanded := []string{}
	for _, text := range given.Texts {
		var to strings.Builder
		made, err := template.New("").Option("missingkey=invalid").Parse(variables + text)
		check(err)
		check(made.Execute(&to, given))
		expanded = append(expanded, to.String())
	}
	check(json.NewEncoder(os.Stdout).Encode(expanded))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
