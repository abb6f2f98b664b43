package main

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"os"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// chart is one picture: lines over a number of something.
type chart struct {
	File  string // without .svg
	Title string
	x, y  string // axes, with units
	logX  bool
	lines []line
}

type line struct {
	label  string
	points plotter.XYs // by rising x
}

// The size of a picture and of its parts, in points.
const (
	width  = 600
	height = 320
	margin = 10
	letter = 6.2 // width of one in the legend
)

// palette has a colour for each line, told apart by the colour-blind too.
var palette = []color.RGBA{{0x00, 0x72, 0xb2, 255}, {0xd5, 0x5e, 0x00, 255}, {0x00, 0x9e, 0x73, 255}, {0xcc, 0x79, 0xa7, 255}, {0xe6, 0x9f, 0x00, 255}, {0x56, 0xb4, 0xe9, 255}}

// fixed are colours that mean the same in all pictures.
var fixed = map[string]int{ours: 0, usual: 1, "nbio": 2, window: 5}

var (
	ink  = color.RGBA{0x24, 0x29, 0x2f, 255}
	rule = color.RGBA{0xd8, 0xde, 0xe4, 255}
)

// draw writes the picture. Its y axis begins at 0; the legend is beside it, where
// no line can cross it.
func (c chart) draw(path string) error {
	p, legend := plot.New(), plot.NewLegend()
	c.style(p)
	legend.TextStyle.Font, legend.TextStyle.Color = text(11), ink
	legend.Top, legend.Left = true, true
	legend.Padding, legend.ThumbnailWidth = 4, 22
	p.Add(grid())
	longest := 0
	for i, l := range c.lines {
		if err := add(p, &legend, l, i); err != nil {
			return fmt.Errorf("%s: %s: %w", c.File, l.label, err)
		}
		longest = max(longest, len([]rune(l.label)))
	}
	canvas := vgsvg.New(width, height)
	all := draw.New(canvas)
	all.SetColor(color.White)
	all.Fill(all.Rectangle.Path())
	beside := vg.Length(float64(longest)*letter) + legend.ThumbnailWidth + 2*margin
	p.Draw(draw.Crop(all, margin, -beside-margin, margin, -margin))
	legend.Draw(draw.Crop(all, width-beside, -margin, margin, -4*margin))
	var svg bytes.Buffer
	if _, err := canvas.WriteTo(&svg); err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	return os.WriteFile(path, withFonts(svg.Bytes()), 0o644)
}

// text is the font of all words.
func text(size vg.Length) font.Font {
	return font.Font{Typeface: "Liberation", Variant: "Sans", Size: size}
}

// withFonts names fonts that readers have.
func withFonts(svg []byte) []byte {
	return bytes.ReplaceAll(svg, []byte("font-family:Liberation Sans;"), []byte("font-family:'Liberation Sans',Arial,Helvetica,sans-serif;"))
}

func grid() *plotter.Grid {
	g := plotter.NewGrid()
	g.Vertical.Width = 0
	g.Horizontal.Color = rule
	g.Horizontal.Width = 0.7
	return g
}

func add(p *plot.Plot, legend *plot.Legend, l line, i int) error {
	drawn, points, err := plotter.NewLinePoints(l.points)
	if err != nil {
		return err
	}
	if n, ok := fixed[l.label]; ok {
		i = n
	}
	c := palette[i%len(palette)]
	drawn.Color, drawn.Width = c, 2
	points.Color, points.Shape, points.Radius = c, draw.CircleGlyph{}, 3
	p.Add(drawn, points)
	legend.Add(l.label, drawn, points)
	return nil
}

func (c chart) style(p *plot.Plot) {
	p.BackgroundColor = color.White
	p.Title.Text, p.Title.TextStyle.Font, p.Title.TextStyle.Color = c.Title, text(13), ink
	p.Title.Padding = 8
	p.X.Label.Text, p.Y.Label.Text = c.x, c.y
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Color, axis.Tick.Color = ink, ink
		axis.Label.TextStyle.Font, axis.Label.TextStyle.Color = text(11), ink
		axis.Tick.Label.Font, axis.Tick.Label.Color = text(10), ink
		axis.Label.Padding, axis.Padding = 6, 0
	}
	c.scale(p)
}

// scale sets the ends of the axes and their ticks.
func (c chart) scale(p *plot.Plot) {
	low, high, top := math.Inf(1), 0.0, 0.0
	for _, l := range c.lines {
		for _, at := range l.points {
			low, high, top = min(low, at.X), max(high, at.X), max(top, at.Y)
		}
	}
	p.Y.Min = 0
	p.Y.Max, p.Y.Tick.Marker = upTo(top, 5)
	if c.logX {
		p.X.Scale, p.X.Min, p.X.Max = plot.LogScale{}, low*0.8, high*1.25
		p.X.Tick.Marker = plot.ConstantTicks(powers(low, high))
		return
	}
	p.X.Min, p.X.Max = 0, high*1.04
	_, p.X.Tick.Marker = upTo(high, 6)
}

// upTo is an axis from 0: a round end that leaves some room above the highest
// value, and about n ticks.
func upTo(top float64, n int) (float64, plot.ConstantTicks) {
	if top <= 0 {
		top = 1
	}
	step := pace(top, n)
	count := int(math.Ceil(top * 1.05 / step))
	var all plot.ConstantTicks
	for i := range count + 1 {
		v := float64(i) * step
		all = append(all, plot.Tick{Value: v, Label: commas(strconv.FormatFloat(v, 'f', digits(step), 64))})
	}
	return float64(count) * step, all
}

// pace is a round distance of about n ticks up to top.
func pace(top float64, n int) float64 {
	raw := top / float64(n)
	size := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, m := range []float64{1, 2, 2.5, 5} {
		if m*size >= raw {
			return m * size
		}
	}
	return 10 * size
}

// digits is how many a multiple of step needs behind the point.
func digits(step float64) int {
	n := 0
	for ; n < 6 && math.Abs(step-math.Round(step)) > 1e-9; n++ {
		step *= 10
	}
	return n
}

// powers are those of ten.
func powers(low, high float64) []plot.Tick {
	var all []plot.Tick
	for v := math.Pow(10, math.Floor(math.Log10(low))); v <= high*1.01; v *= 10 {
		if v >= low*0.99 {
			all = append(all, plot.Tick{Value: v, Label: commas(strconv.FormatFloat(v, 'f', 0, 64))})
		}
	}
	return all
}
